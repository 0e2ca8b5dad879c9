using System.Collections.Concurrent;

namespace Abuse.Core.Tests;

/// <summary>What the parties of a stress run share: the device, the store, the seed, the counters, and what went wrong.</summary>
internal sealed class StressWorld(int seed, AbuseDevice device, int blocks) : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private int _party;

    internal AbuseDevice Device { get; } = device;

    internal FencedStore Store { get; } = new(blocks);

    internal ConcurrentQueue<string> Faults { get; } = new();

    internal ConcurrentDictionary<string, int> Counts { get; } = new();

    internal bool Stopping => _stop.IsCancellationRequested;

    internal CancellationToken Stop => _stop.Token;

    /// <summary>A generator of its own for each party, so that a run depends on the seed and the scheduler alone.</summary>
    internal Random NewRandom() => new(HashCode.Combine(seed, Interlocked.Increment(ref _party)));

    internal void Count(string what) => Counts.AddOrUpdate(what, 1, static (_, count) => count + 1);

    internal void Fault(string what) => Faults.Enqueue(what);

    internal void End() => _stop.Cancel();

    public void Dispose() => _stop.Dispose();

    public override string ToString() => string.Join(", ", Counts.OrderBy(static pair => pair.Key).Select(static pair => $"{pair.Value} {pair.Key}"));
}
