namespace Abuse.Core;

/// <summary>
/// The disk under a directory. Every method has one body for both kinds of caller: of a synchronous one the task is complete when it is
/// returned, and nothing but the client's synchronous methods was called.
/// </summary>
internal sealed class DirectoryDisk(BlockClient client)
{
    internal BlockClient Client => client;

    /// <summary>Bytes that are written whole or not at all, and the smallest write.</summary>
    internal int Sector { get; } = Math.Max(client.BlockSize, BlockGeometry.SectorSize);

    internal ValueTask<BioResult> TryReadAsync(long offset, Memory<byte> buffer, bool isAsync) =>
        isAsync ? client.TryReadAsync(offset, buffer) : new(client.TryRead(offset, buffer.Span));

    /// <summary>A disk that has neither FUA nor flushes holds what it answered.</summary>
    internal ValueTask<BioResult> TryWriteAsync(long offset, ReadOnlyMemory<byte> buffer, bool fua, bool isAsync)
    {
        fua &= (client.Features & (BlockFeatures.Fua | BlockFeatures.Flush)) != 0;
        return isAsync ? client.TryWriteAsync(offset, buffer, fua) : new(client.TryWrite(offset, buffer.Span, fua));
    }

    /// <exception cref="BlockIOException">The disk failed it.</exception>
    internal async ValueTask ReadAsync(long offset, Memory<byte> buffer, bool isAsync) =>
        Check(await TryReadAsync(offset, buffer, isAsync).ConfigureAwait(false), BioOp.Read, offset, buffer.Length);

    /// <exception cref="BlockIOException">The disk failed it.</exception>
    internal async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, bool fua, bool isAsync) =>
        Check(await TryWriteAsync(offset, buffer, fua, isAsync).ConfigureAwait(false), BioOp.Write, offset, buffer.Length);

    /// <summary>Makes all that is on the disk durable.</summary>
    /// <exception cref="BlockIOException">The disk failed it.</exception>
    internal async ValueTask FlushAsync()
    {
        if ((client.Features & BlockFeatures.Flush) != 0)
        {
            await client.FlushAsync().ConfigureAwait(false);
        }
    }

    private void Check(BioResult result, BioOp op, long offset, long length)
    {
        if (result != BioResult.Ok)
        {
            throw new BlockIOException(result, op, offset, length, client.Device);
        }
    }
}
