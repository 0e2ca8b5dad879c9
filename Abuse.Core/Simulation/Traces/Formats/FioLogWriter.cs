using System.Globalization;

namespace Abuse.Core;

/// <summary>Writes a trace as an I/O log of fio, version 3.</summary>
internal static class FioLogWriter
{
    /// <summary>fio has a buffer of the longest write of a log.</summary>
    private const long MostZeroes = 1 << 20;

    /// <summary>Microseconds: fio takes a time of 0 for none, and leaves out the first pause after it.</summary>
    private const long FirstTime = 1;

    internal static async Task<int> WriteAsync(BlockTrace trace, Stream stream, string file, CancellationToken cancellationToken)
    {
        // UTF-8 without a mark; lines end in one byte on every system.
        var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        await using System.Runtime.CompilerServices.ConfiguredAsyncDisposable disposal = writer.ConfigureAwait(false);
        string head = string.Create(CultureInfo.InvariantCulture, $"fio version 3 iolog\n{FirstTime} {file} add\n{FirstTime} {file} open");
        await writer.WriteLineAsync(head).ConfigureAwait(false);
        int leftOut = 0;
        long last = FirstTime;
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            last = Math.Max(last, bio.SubmittedAt.Ticks / TimeSpan.TicksPerMicrosecond);
            if (bio.Result is BioResult.OutOfRange or BioResult.NotSupported or BioResult.ReadOnly)
            {
                leftOut++;
                continue;
            }

            foreach (string action in Lines(bio))
            {
                string line = string.Create(CultureInfo.InvariantCulture, $"{last} {file} {action}");
                await writer.WriteLineAsync(line.AsMemory(), cancellationToken).ConfigureAwait(false);
            }
        }

        string close = string.Create(CultureInfo.InvariantCulture, $"{last} {file} close");
        await writer.WriteLineAsync(close).ConfigureAwait(false);
        return leftOut;
    }

    private static IEnumerable<string> Lines(TracedBio bio)
    {
        if (bio.Op == BioOp.Flush)
        {
            yield return "datasync 0 0";
            yield break;
        }

        string action = bio.Op switch
        {
            BioOp.Read => "read",
            BioOp.Discard => "trim",
            _ => "write",
        };
        long piece = bio.Op == BioOp.WriteZeroes ? MostZeroes : bio.Length;
        for (long done = 0; done < bio.Length; done += piece)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"{action} {bio.Offset + done} {Math.Min(piece, bio.Length - done)}");
        }

        if (bio is { IsWrite: true, Fua: true })
        {
            yield return "datasync 0 0";
        }
    }
}
