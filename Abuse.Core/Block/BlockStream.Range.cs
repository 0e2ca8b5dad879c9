using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>What of a range is whole blocks and what is not, and what may be asked at all.</content>
public sealed partial class BlockStream
{
    /// <summary>How many of <paramref name="wanted"/> bytes there are from the position on.</summary>
    private int BytesLeft(int wanted) => (int)Math.Min(wanted, Math.Max(0, _length - _position));

    /// <summary>
    /// What is next of a range: whole blocks as many as there are, or the part of one block. The block is read from the device each time: if it
    /// was configured anew with another, the client must be asked in that one. Of a device without blocks it says that it is offline.
    /// </summary>
    private Step NextStep(long position, int left)
    {
        int block = Math.Max(_client.BlockSize, AbuseIoctl.SectorSize);
        int within = (int)(position & (block - 1));
        return within != 0 || left < block
            ? new Step(position - within, block, within, Math.Min(block - within, left))
            : new Step(position, 0, 0, left & ~(block - 1));
    }

    /// <summary>What can be said before the first bio: whether there is room for all of a write.</summary>
    /// <returns>The failure, or null.</returns>
    private BlockIOException? CheckWritable(int count)
    {
        ThrowIfDisposed();
        if (_client.IsReadOnly)
        {
            throw new NotSupportedException($"The stream can't be written: {_client} is read-only.");
        }

        return count != 0 && _position > _length - count
            ? new BlockIOException(BioResult.NoSpace, BioOp.Write, _position, count, _client.Device)
            : null;
    }

    /// <summary>A part of a range.</summary>
    /// <param name="Offset">Where its first block starts, in bytes.</param>
    /// <param name="Block">The block that it is a part of, in bytes; 0 where it is whole blocks.</param>
    /// <param name="Within">Where in the block it starts.</param>
    /// <param name="Count">Its bytes.</param>
    private readonly record struct Step(long Offset, int Block, int Within, int Count)
    {
        internal bool IsWhole => Block == 0;
    }
}
