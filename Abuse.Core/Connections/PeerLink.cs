using System.IO.Pipelines;

namespace Abuse.Core;

/// <summary>Bytes to and from one peer, over whatever carries them.</summary>
/// <remarks>
/// One loop receives and one sends, at the same time; <see cref="Abort"/> may be called from any thread, any number of times, and makes both
/// fail or end. Disposing frees what <see cref="Abort"/> does not, after both loops have ended.
/// </remarks>
internal abstract class PeerLink : IAsyncDisposable
{
    private long _sentBytes;
    private long _receivedPieces;

    /// <summary>How much the peer has taken so far, as far as one can see: a long send counts piece by piece.</summary>
    internal long SentBytes => Volatile.Read(ref _sentBytes);

    /// <summary>How many pieces <see cref="ReceiveAsync"/> has received: long memory is filled by many.</summary>
    internal long ReceivedPieces => Volatile.Read(ref _receivedPieces);

    /// <summary>What the peer sends.</summary>
    internal abstract PipeReader Input { get; }

    /// <summary>Who the peer is, for messages.</summary>
    internal abstract string Name { get; }

    /// <summary>Sends all bytes of the segments, in order. They stay the caller's.</summary>
    internal abstract ValueTask SendAsync(ReadOnlyMemory<OutSegment> segments);

    /// <summary>
    /// Receives exactly as many bytes as <paramref name="destination"/> has, past what <see cref="Input"/> holds, which the caller has taken.
    /// </summary>
    /// <returns>False if the peer ended before.</returns>
    internal virtual async ValueTask<bool> ReceiveAsync(Memory<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            ReadResult read = await Input.ReadAsync().ConfigureAwait(false);
            int some = (int)Math.Min(read.Buffer.Length, destination.Length);
            System.Buffers.BuffersExtensions.CopyTo(read.Buffer.Slice(0, some), destination.Span);
            destination = destination[some..];
            Input.AdvanceTo(read.Buffer.GetPosition(some));
            NotePiece();
            if (read.IsCanceled || (some == 0 && read.IsCompleted))
            {
                // Told once that it is to end: nothing that is waited for after that would come to an end.
                return destination.IsEmpty;
            }
        }

        return true;
    }

    /// <summary>Counts bytes that were sent. For the sending loop.</summary>
    private protected void NoteSent(long bytes) => Volatile.Write(ref _sentBytes, _sentBytes + bytes);

    /// <summary>Counts a piece that was received. For the receiving loop.</summary>
    private protected void NotePiece() => Volatile.Write(ref _receivedPieces, _receivedPieces + 1);

    /// <summary>
    /// Whether <see cref="Input"/> still has, after <see cref="EndInput"/>, what was received before, then completes, and never waits.
    /// </summary>
    internal virtual bool KeepsReceived => false;

    /// <summary>Has the receiving loop find the end of its input; what is being sent goes on.</summary>
    internal abstract void EndInput();

    /// <summary>Ends both directions at once.</summary>
    internal abstract void Abort();

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}
