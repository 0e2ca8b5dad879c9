using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <content>The options that name exports.</content>
internal sealed partial class NbdHandshake
{
    /// <summary>NBD_OPT_EXPORT_NAME: the old way, which has no way to refuse but to leave.</summary>
    private NbdSession ChooseByName(byte[] data)
    {
        if (_style == NbdReplyStyle.Extended)
        {
            throw new PeerFaultException("With extended headers an export is asked for with GO, not with EXPORT_NAME.");
        }

        if (data.Length > NbdWire.MaxString || !TryDecode(data, out string? name))
        {
            throw new PeerFaultException("The export's name is no string of NBD.");
        }

        if (Open(name, asksForBlockSize: false) is not { } session)
        {
            throw new PeerFaultException($"The client asked for the export {Quoted(name)}, which there is not.");
        }

        int count = _omitsZeroes ? 10 : 134;
        byte[] reply = ArrayPool<byte>.Shared.Rent(count);
        reply.AsSpan(0, count).Clear();
        BinaryPrimitives.WriteUInt64BigEndian(reply, (ulong)session.Size);
        BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(8), (ushort)session.Flags);
        connection.Outbox.Append(new OutSegment(reply, 0, count));
        return session;
    }

    /// <summary>NBD_OPT_INFO and NBD_OPT_GO, which differ in what follows, and in nothing else.</summary>
    /// <returns>What the client would get; null if it was refused.</returns>
    private NbdSession? Describe(NbdOption option, byte[] data)
    {
        var fields = new NbdFields(data);
        if (!fields.TryReadString(out ReadOnlySpan<byte> nameBytes) || !fields.TryReadUInt16(out ushort count) || fields.Left != count * 2)
        {
            Refuse(option, NbdOptionReply.ErrInvalid, "The lengths in the option don't fit together.");
            return null;
        }

        if (!TryDecodeName(option, nameBytes, out string? name))
        {
            return null;
        }

        bool asksForBlockSize = false;
        bool asksForName = false;
        while (fields.TryReadUInt16(out ushort kind))
        {
            asksForBlockSize |= kind == (ushort)NbdInfo.BlockSize;
            asksForName |= kind == (ushort)NbdInfo.Name;
        }

        if (Open(name, asksForBlockSize) is not { } session)
        {
            Refuse(option, NbdOptionReply.ErrUnknown, $"There is no export {Quoted(name)}, or it has no size now.");
            return null;
        }

        SendInfo(option, session, asksForName, asksForBlockSize);
        Reply(option, NbdOptionReply.Ack);
        return session;
    }

    private void SendInfo(NbdOption option, NbdSession session, bool asksForName, bool asksForBlockSize)
    {
        Span<byte> info = stackalloc byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)NbdInfo.Export);
        BinaryPrimitives.WriteUInt64BigEndian(info[2..], (ulong)session.Size);
        BinaryPrimitives.WriteUInt16BigEndian(info[10..], (ushort)session.Flags);
        Reply(option, NbdOptionReply.Info, info[..12]);
        if (asksForName)
        {
            SendText(option, NbdInfo.Name, session.Export.Name);
        }

        if (session.Export.Description is { } description)
        {
            SendText(option, NbdInfo.Description, description);
        }

        if (asksForBlockSize)
        {
            BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)NbdInfo.BlockSize);
            BinaryPrimitives.WriteUInt32BigEndian(info[2..], (uint)session.MinBlock);
            BinaryPrimitives.WriteUInt32BigEndian(info[6..], BlockGeometry.MaxBlockSize);
            BinaryPrimitives.WriteUInt32BigEndian(info[10..], (uint)session.MaxPayload);
            Reply(option, NbdOptionReply.Info, info);
        }
    }

    private void SendText(NbdOption option, NbdInfo kind, string text)
    {
        byte[] data = new byte[2 + Utf8.GetByteCount(text)];
        BinaryPrimitives.WriteUInt16BigEndian(data, (ushort)kind);
        Utf8.GetBytes(text, data.AsSpan(2));
        Reply(option, NbdOptionReply.Info, data);
    }

    private void List(byte[] data)
    {
        if (data.Length != 0)
        {
            Refuse(NbdOption.List, NbdOptionReply.ErrInvalid, "The option has no data.");
            return;
        }

        foreach (NbdExport export in exports.All)
        {
            byte[] name = Utf8.GetBytes(export.Name);
            byte[] text = Utf8.GetBytes(export.Description ?? "");
            byte[] entry = new byte[4 + name.Length + text.Length];
            BinaryPrimitives.WriteUInt32BigEndian(entry, (uint)name.Length);
            name.CopyTo(entry, 4);
            text.CopyTo(entry, 4 + name.Length);
            Reply(NbdOption.List, NbdOptionReply.Server, entry);
        }

        Reply(NbdOption.List, NbdOptionReply.Ack);
    }

    /// <summary>NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. There is one context, base:allocation.</summary>
    private void TakeContexts(NbdOption option, byte[] data)
    {
        bool sets = option == NbdOption.SetMetaContext;
        if (sets)
        {
            // What was set before counts no more, whatever becomes of this.
            _contextExport = null;
        }

        if (_style == NbdReplyStyle.Simple)
        {
            Refuse(option, NbdOptionReply.ErrInvalid, "Structured replies or extended headers come first.");
            return;
        }

        var fields = new NbdFields(data);
        if (!fields.TryReadString(out ReadOnlySpan<byte> nameBytes) || !fields.TryReadUInt32(out uint count))
        {
            Refuse(option, NbdOptionReply.ErrInvalid, "The lengths in the option don't fit together.");
            return;
        }

        if (!TryDecodeName(option, nameBytes, out string? name))
        {
            return;
        }

        bool isAsked = count == 0 && !sets;
        for (uint i = 0; i < count; i++)
        {
            if (!fields.TryReadString(out ReadOnlySpan<byte> query))
            {
                Refuse(option, NbdOptionReply.ErrInvalid, "The lengths in the option don't fit together.");
                return;
            }

            isAsked |= query.SequenceEqual("base:allocation"u8) || (!sets && query.SequenceEqual("base:"u8));
        }

        if (fields.Left != 0)
        {
            Refuse(option, NbdOptionReply.ErrInvalid, "The option has data behind its end.");
            return;
        }

        if (exports.Find(name) is null)
        {
            Refuse(option, NbdOptionReply.ErrUnknown, $"There is no export {Quoted(name)}.");
            return;
        }

        if (isAsked)
        {
            byte[] context = new byte[4 + NbdWire.AllocationName.Length];
            BinaryPrimitives.WriteUInt32BigEndian(context, sets ? NbdWire.AllocationContext : 0);
            Utf8.GetBytes(NbdWire.AllocationName, context.AsSpan(4));
            Reply(option, NbdOptionReply.MetaContext, context);
            _contextExport = sets ? name : _contextExport;
        }

        Reply(option, NbdOptionReply.Ack);
    }

    /// <summary>What a client gets of an export; null where there is none, or its device has no size.</summary>
    private NbdSession? Open(string name, bool asksForBlockSize)
    {
        if (exports.Find(name) is not { } export || export.Device.Geometry is not { } geometry)
        {
            return null;
        }

        bool hasAllocation = _style != NbdReplyStyle.Simple && _contextExport == name;
        return new NbdSession
        {
            Export = export,
            Gate = exports.GateOf(export),
            Size = geometry.Size,
            Flags = NbdSession.FlagsOf(export, geometry, _style, hasAllocation),
            Style = _style,
            MinBlock = asksForBlockSize ? geometry.BlockSize : 1,
            Block = geometry.BlockSize,
            HasAllocation = hasAllocation,
            MaxPayload = options.MaxPayload,
        };
    }

    private bool TryDecodeName(NbdOption option, ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out string? name)
    {
        if (bytes.Length > NbdWire.MaxString)
        {
            name = null;
            Refuse(option, NbdOptionReply.ErrTooBig, $"A name has at most {NbdWire.MaxString} bytes.");
            return false;
        }

        if (!TryDecode(bytes, out name))
        {
            Refuse(option, NbdOptionReply.ErrInvalid, "The name is not UTF-8.");
            return false;
        }

        return true;
    }

    private static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out string? text)
    {
        try
        {
            text = Utf8.GetString(bytes);
            return true;
        }
        catch (ArgumentException)
        {
            text = null;
            return false;
        }
    }

    /// <summary>A client's string for a message: no longer than that is any use.</summary>
    private static string Quoted(string name)
    {
        const int Most = 64;

        // Not in the midst of a character.
        return name.Length <= Most ? $"\"{name}\"" : $"\"{name[..(char.IsHighSurrogate(name[Most - 1]) ? Most - 1 : Most)]}\" and so on";
    }
}
