using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Abuse.Core;

/// <summary>
/// A device's bios as a channel: read requests, answer them with <see cref="BioRequest.Complete"/> or through the writer.
/// </summary>
/// <remarks>
/// <para>
/// Delivery is at least once. Each channel sees every bio that was pending when it opened or came later and that it takes
/// (<see cref="BioChannelOptions.Takes"/>); several readers of one channel share them, two channels each see all, and the first valid
/// answer wins. So a server that hangs is overtaken by opening another channel, and one that dies loses nothing: what it had read is
/// pending all the time.
/// </para>
/// <para>
/// Thread-safe, for any number of readers and writers. A bounded number of bios is pending, and a channel holds at most
/// <see cref="BioChannelOptions.ByteBudget"/> bytes of memory (B3). Waiting readers continue on the thread pool (B8). A reset of the device
/// and its disposal end the channel; so does <see cref="Dispose"/>.
/// </para>
/// </remarks>
[SuppressMessage("Naming", "CA1711:Identifiers should not have incorrect suffix", Justification = "It is a channel.")]
public sealed class BioChannel : Channel<BioAnswer, BioRequest>, IDisposable
{
    private readonly BioQueue _queue;
    private readonly ChannelConsumer _consumer;
    private long _refusedAnswers;

    internal BioChannel(BioQueue queue, BioChannelOptions options, bool wakesOne = false)
    {
        options.Validate();
        _queue = queue;
        _consumer = new ChannelConsumer(queue, options, wakesOne);
        Reader = new RequestReader(this);
        Writer = new AnswerWriter(this);
        queue.AddConsumer(_consumer);
    }

    /// <summary>How many answers through the writer were refused because they came late.</summary>
    public long RefusedAnswers => Volatile.Read(ref _refusedAnswers);

    /// <summary>
    /// Ends the channel. What it had read and not answered is still pending for every other server, and late answers of this one are refused
    /// (<see cref="AnswerResult.Closed"/>).
    /// </summary>
    public void Dispose() => _queue.EndConsumer(_consumer, ConsumerEnd.Closed);

    /// <inheritdoc/>
    public override string ToString() => _consumer.End switch
    {
        ConsumerEnd.None => $"channel that takes {_consumer.Takes}",
        ConsumerEnd.Closed => "channel, disposed",
        _ => "channel, ended with its device's configuration",
    };

    private bool TryAnswer(BioAnswer answer, out AnswerResult result)
    {
        bool ended = _consumer.End != ConsumerEnd.None;

        // On an ended channel too: the request is let go of, so that its memory is not lost with the answer.
        result = answer.Request.Complete(answer.Result);
        if (ended)
        {
            return result == AnswerResult.Accepted;
        }

        if (result != AnswerResult.Accepted)
        {
            Interlocked.Increment(ref _refusedAnswers);
        }

        return true;
    }

    private sealed class RequestReader(BioChannel channel) : ChannelReader<BioRequest>
    {
        public override Task Completion => channel._consumer.Completion;

        public override bool TryRead(out BioRequest item)
        {
            if (channel._queue.TryDeliver(channel._consumer, out Delivery? delivery))
            {
                item = new BioRequest(delivery);
                return true;
            }

            item = default;
            return false;
        }

        public override ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default) =>
            channel._consumer.WaitAsync(cancellationToken);

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<BioRequest> ReadAsync(CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            BioRequest request;
            while (!TryRead(out request))
            {
                if (!await WaitToReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw new ChannelClosedException("The channel was disposed, or its device was reset or is gone.");
                }
            }

            return request;
        }
    }

    /// <summary>
    /// An answer that comes late can't be written by trying again, so <see cref="TryWrite"/> takes it and says true, and a loop over
    /// WaitToWriteAsync and TryWrite never spins; <see cref="WriteAsync"/> throws, and the channel counts it.
    /// </summary>
    private sealed class AnswerWriter(BioChannel channel) : ChannelWriter<BioAnswer>
    {
        public override bool TryWrite(BioAnswer item) => channel.TryAnswer(item, out _);

        public override ValueTask<bool> WaitToWriteAsync(CancellationToken cancellationToken = default) =>
            cancellationToken.IsCancellationRequested
                ? ValueTask.FromCanceled<bool>(cancellationToken)
                : new ValueTask<bool>(channel._consumer.End == ConsumerEnd.None);

        public override ValueTask WriteAsync(BioAnswer item, CancellationToken cancellationToken = default)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                return ValueTask.FromCanceled(cancellationToken);
            }

            channel.TryAnswer(item, out AnswerResult result);
            return result == AnswerResult.Accepted
                ? ValueTask.CompletedTask
                : ValueTask.FromException(new AnswerRefusedException(item, result));
        }

        /// <summary>No more answers will come: the same as disposing the channel.</summary>
        public override bool TryComplete(Exception? error = null)
        {
            bool first = channel._consumer.End == ConsumerEnd.None;
            channel.Dispose();
            return first;
        }
    }
}
