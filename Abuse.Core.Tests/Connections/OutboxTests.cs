using System.Buffers;
using System.IO.Pipelines;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What is to be sent to a peer that does not read: bounded by the memory that it keeps, and found out by what the peer takes.</summary>
[TestFixture]
internal sealed class OutboxTests
{
    private const int Limit = 1 << 20;

    [Test]
    public void Short_replies_in_long_arrays_fill_it_as_soon_as_their_memory_does()
    {
        var outbox = new Outbox(new Link(), Limit, new ManualTimeProvider());
        int count = 0;
        for (; !outbox.IsFull; count++)
        {
            Assert.That(count, Is.LessThan(16));
            outbox.Append(new OutSegment(ArrayPool<byte>.Shared.Rent(64 << 10), 0, 16));
        }

        Assert.That(count, Is.EqualTo(16));
        outbox.Fail();
        Assert.That(outbox.IsFull, Is.False);
        Assert.That(outbox.IsEmpty);
    }

    [Test]
    public async Task What_was_sent_makes_room()
    {
        var link = new Link();
        var outbox = new Outbox(link, Limit, new ManualTimeProvider());
        Task sending = outbox.SendAllAsync();
        while (!outbox.IsFull)
        {
            outbox.Append(new OutSegment(ArrayPool<byte>.Shared.Rent(64 << 10), 0, 16));
        }

        Task room = outbox.WaitForRoomAsync().AsTask();
        outbox.Kick();
        Assert.That(room.IsCompleted, Is.False);
        link.Taken.SetResult();
        await room.InTime();
        outbox.Complete();
        await sending.InTime();
        Assert.That(outbox.IsEmpty);
        Assert.That(outbox.HasPending, Is.False);
    }

    [Test]
    public void A_peer_that_takes_a_long_reply_piece_by_piece_does_not_stall()
    {
        var time = new ManualTimeProvider();
        var link = new Link();
        var outbox = new Outbox(link, Limit, time);
        outbox.Append(new OutSegment(ArrayPool<byte>.Shared.Rent(Limit), 0, Limit));
        _ = outbox.SendAllAsync();
        for (int i = 0; i < 5; i++)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            link.Take(100);
            Assert.That(outbox.LookForStall(), Is.LessThan(TimeSpan.FromSeconds(10)));
        }

        time.Advance(TimeSpan.FromSeconds(10));
        Assert.That(outbox.LookForStall(), Is.EqualTo(TimeSpan.FromSeconds(10)));
        outbox.Fail();
        Assert.That(outbox.LookForStall(), Is.EqualTo(TimeSpan.Zero));
        link.Taken.SetResult();
    }

    /// <summary>A peer that takes what the test says.</summary>
    private sealed class Link : PeerLink
    {
        internal TaskCompletionSource Taken { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal override PipeReader Input => throw new NotSupportedException();

        internal override string Name => "a peer";

        internal override ValueTask SendAsync(ReadOnlyMemory<OutSegment> segments) => new(Taken.Task);

        internal void Take(int bytes) => NoteSent(bytes);

        internal override void EndInput()
        {
        }

        internal override void Abort()
        {
        }

        public override ValueTask DisposeAsync() => default;
    }
}
