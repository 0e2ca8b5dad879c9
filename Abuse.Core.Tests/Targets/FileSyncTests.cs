using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class FileSyncTests
{
    private const int Waiters = 8;

    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(20);

    [Test]
    public void Everybody_who_comes_during_a_sync_shares_the_next_one()
    {
        using var gate = new Gate();
        var sync = new FileSync(null!, _ => gate.Enter());
        Task<bool>[] all = StartBehind(sync, gate);
        gate.Open();
        Assert.That(Task.WhenAll(all).Wait(Enough), Is.True);
        Assert.That(all.Select(task => task.Result), Is.All.True);

        // Not one alone: it may have missed the others' bytes.
        Assert.That(gate.Calls, Is.EqualTo(2));
    }

    [Test]
    public void A_failure_is_everybodys_from_then_on()
    {
        using var gate = new Gate();
        var sync = new FileSync(null!, _ =>
        {
            gate.Enter();
            throw new IOException("lost");
        });
        Task<bool>[] all = StartBehind(sync, gate);
        gate.Open();
        Assert.That(Task.WhenAll(all).Wait(Enough), Is.True);
        Assert.That(all.Select(task => task.Result), Is.All.False);
        Assert.That(gate.Calls, Is.EqualTo(1));
        Assert.That(sync.Run(), Is.False);
    }

    [Test]
    public void An_unexpected_exception_comes_out_and_counts_as_a_failure()
    {
        var sync = new FileSync(null!, _ => throw new InvalidOperationException());
        Assert.That(() => sync.Run(), Throws.InvalidOperationException);
        Assert.That(sync.Run(), Is.False);
    }

    /// <summary>One that is held in its sync, and others that have come since.</summary>
    private static Task<bool>[] StartBehind(FileSync sync, Gate gate)
    {
        Task<bool> first = Start(sync);
        Assert.That(gate.Entered.Wait(Enough), Is.True);
        Task<bool>[] others = [.. Enumerable.Range(0, Waiters).Select(_ => Start(sync))];
        Assert.That(SpinWait.SpinUntil(() => sync.Waiting == Waiters, Enough), Is.True);
        return [first, .. others];
    }

    private static Task<bool> Start(FileSync sync) => Task.Factory.StartNew(
        sync.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Where syncs are held, and counted.</summary>
    private sealed class Gate : IDisposable
    {
        private readonly ManualResetEventSlim _open = new();

        private int _calls;

        internal ManualResetEventSlim Entered { get; } = new();

        internal int Calls => _calls;

        public void Dispose()
        {
            _open.Dispose();
            Entered.Dispose();
        }

        internal void Open() => _open.Set();

        internal void Enter()
        {
            Interlocked.Increment(ref _calls);
            Entered.Set();
            Assert.That(_open.Wait(Enough), Is.True);
        }
    }
}
