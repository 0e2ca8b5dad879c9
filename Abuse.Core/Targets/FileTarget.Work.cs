using Abuse.Core.Interop;

namespace Abuse.Core;

/// <content>The work itself, which waits for the file.</content>
public sealed partial class FileTarget
{
    /// <summary>What is written where a file system can't make zeroes itself, a piece at a time.</summary>
    private static readonly byte[] Zeroes = new byte[65536];

    /// <summary>Does a bio that <see cref="Check(in BioHead, int)"/> let through, on the calling thread.</summary>
    internal BioResult Perform(in BioHead bio, BioSpans data)
    {
        try
        {
            BeforeWork?.Invoke();
            BioResult result = bio.Op switch
            {
                BioOp.Read => Read(bio.Offset, data),
                BioOp.Write => Write(bio.Offset, data),
                BioOp.Discard => FileErrors.ToResult(FileSpace.Punch(_file, bio.Offset, bio.Length)),
                BioOp.WriteZeroes => WriteZeroes(bio.Offset, bio.Length),
                _ => BioResult.Ok,
            };
            return result == BioResult.Ok && MustSync(bio) && !_sync.Run() ? BioResult.IoError : result;
        }
        catch (IOException e)
        {
            return FileErrors.ToResult(e);
        }
        catch (ObjectDisposedException) when (_disposed)
        {
            return BioResult.Offline;
        }
    }

    /// <summary>A write without memory is the barrier of 2009.</summary>
    private static bool MustSync(in BioHead bio) =>
        bio.Op == BioOp.Flush || (bio.Op is BioOp.Write or BioOp.WriteZeroes && (bio.Fua || bio.Length == 0));

    private BioResult Read(long offset, BioSpans data)
    {
        for (int i = 0; i < data.Count; i++)
        {
            Span<byte> piece = data[i];
            while (!piece.IsEmpty)
            {
                int count = RandomAccess.Read(_file, piece, offset);
                if (count == 0)
                {
                    // The file was cut off after it was opened.
                    return BioResult.IoError;
                }

                piece = piece[count..];
                offset += count;
            }
        }

        return BioResult.Ok;
    }

    private BioResult Write(long offset, BioSpans data)
    {
        for (int i = 0; i < data.Count; i++)
        {
            // Goes on by itself after a short write.
            RandomAccess.Write(_file, data[i], offset);
            offset += data[i].Length;
        }

        return BioResult.Ok;
    }

    /// <summary>By a hole, which keeps the file sparse; else by asking the file system for zeroes; else by writing them.</summary>
    private BioResult WriteZeroes(long offset, long length)
    {
        if (FileSpace.IsAvailable)
        {
            // Asked each time: what is refused for one range may be granted for another, and asking costs nothing beside writing zeroes.
            int error = FileSpace.Punch(_file, offset, length);
            error = FileErrors.IsUnsupported(error) ? FileSpace.Zero(_file, offset, length) : error;
            if (!FileErrors.IsUnsupported(error))
            {
                return FileErrors.ToResult(error);
            }
        }

        while (length > 0)
        {
            int count = (int)Math.Min(length, Zeroes.Length);
            RandomAccess.Write(_file, Zeroes.AsSpan(0, count), offset);
            offset += count;
            length -= count;
        }

        return BioResult.Ok;
    }
}
