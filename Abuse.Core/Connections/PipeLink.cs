using System.IO.Pipelines;

namespace Abuse.Core;

/// <summary>A peer over pipes that somebody else made: a stream's, or a pair in memory.</summary>
internal sealed class PipeLink(IDuplexPipe pipe, string name) : PeerLink
{
    private int _aborted;

    internal override PipeReader Input => pipe.Input;

    internal override string Name => name;

    internal override async ValueTask SendAsync(ReadOnlyMemory<OutSegment> segments)
    {
        for (int i = 0; i < segments.Length; i++)
        {
            FlushResult flushed = await pipe.Output.WriteAsync(segments.Span[i].Memory).ConfigureAwait(false);
            if (flushed.IsCompleted || flushed.IsCanceled)
            {
                throw new IOException("The peer reads no more.");
            }

            NoteSent(segments.Span[i].Memory.Length);
        }
    }

    internal override void EndInput() => pipe.Input.CancelPendingRead();

    internal override void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) == 0)
        {
            pipe.Input.CancelPendingRead();
            pipe.Output.CancelPendingFlush();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await pipe.Input.CompleteAsync().ConfigureAwait(false);
        await pipe.Output.CompleteAsync().ConfigureAwait(false);
    }

    /// <summary>Both directions of a stream.</summary>
    internal static IDuplexPipe Of(Stream stream) => new StreamPipes(
        PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 << 10, leaveOpen: true)),
        PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true)));

    private sealed record StreamPipes(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
