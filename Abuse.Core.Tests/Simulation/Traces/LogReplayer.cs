using System.Buffers.Binary;
using System.Text;

namespace Abuse.Core.Tests;

/// <summary>
/// Replays a log of dm-log-writes onto an image, after the kernel's documentation of the format alone: a super block in the first sector; then
/// an entry of a sector each, followed by the data unless it is a discard; discards read as zeroes.
/// </summary>
internal static class LogReplayer
{
    /// <summary>What a log's entries are, one word each.</summary>
    internal static string Replay(byte[] log, byte[] image)
    {
        if (BinaryPrimitives.ReadUInt64LittleEndian(log) != 0x6a736677736872 || BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(8)) != 1)
        {
            throw new InvalidOperationException("no log");
        }

        var said = new StringBuilder();
        ulong entries = BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(16));
        int sector = BinaryPrimitives.ReadInt32LittleEndian(log.AsSpan(24));
        int at = sector;
        for (ulong i = 0; i < entries; i++)
        {
            int offset = (int)BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(at)) * sector;
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(at + 8)) * sector;
            ulong flags = BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(at + 16));
            int text = (int)BinaryPrimitives.ReadUInt64LittleEndian(log.AsSpan(at + 24));
            string mark = Encoding.UTF8.GetString(log, at + 32, (flags & 8) != 0 ? text : 0);
            at += sector;
            said.Append((flags & 1) != 0 ? "flush " : "").Append((flags & 8) != 0 ? $"'{mark}' " : "");
            if ((flags & 4) != 0)
            {
                image.AsSpan(offset, length).Clear();
                said.Append("discard ");
            }
            else if (length != 0)
            {
                log.AsSpan(at, length).CopyTo(image.AsSpan(offset));
                said.Append((flags & 2) != 0 ? "fua" : "write").Append($":{offset / sector} ");
                at += length;
            }
        }

        return at == log.Length ? said.ToString().Trim() : throw new InvalidOperationException($"the entries end at {at}, the log at {log.Length}");
    }
}
