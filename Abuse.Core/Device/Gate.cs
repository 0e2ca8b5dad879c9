using System.Diagnostics;

namespace Abuse.Core;

/// <summary>
/// The device's admission in one word, so that a bio that an attached target runs inline enters and leaves with one compare-and-swap each
/// and takes no lock.
/// </summary>
/// <remarks>
/// <c>generation:28 | version:20 | waiting:1 | count:15</c>. <em>Count</em> is queue_size: what is queued and what runs inline.
/// <em>Waiting</em> says that front ends wait for credit: entering inline would overtake them, and who leaves must admit one.
/// <em>Version</em> changes with every configuration, so that no bio enters on the strength of checks against an old one.
/// <em>Generation</em> changes whenever everything pending is failed: a call that runs inline finds on leaving that it was settled, and
/// no longer counts. Versions and generations wrap: to be fooled a thread must sleep between reading the word and swapping it for exactly
/// 2^20 configurations, or hang in a target for exactly 2^28 resets.
/// </remarks>
internal struct Gate
{
    private ulong _word;

    internal GateState Read() => new(Volatile.Read(ref _word));

    /// <summary>Replaces <paramref name="from"/>; false if it is no longer the state.</summary>
    internal bool TryMove(GateState from, GateState to) => Interlocked.CompareExchange(ref _word, to.Word, from.Word) == from.Word;
}

/// <summary>A value of the <see cref="Gate"/>.</summary>
internal readonly record struct GateState(ulong Word)
{
    private const int GenerationShift = 36;
    private const int VersionShift = 16;
    private const ulong VersionMask = 0xFFFFF;
    private const ulong WaitingBit = 0x8000;
    private const ulong CountMask = 0x7FFF;

    internal uint Generation => (uint)(Word >> GenerationShift);

    internal uint Version => (uint)((Word >> VersionShift) & VersionMask);

    internal bool Waiting => (Word & WaitingBit) != 0;

    internal int Count => (int)(Word & CountMask);

    internal GateState Entered() => new(Word + 1);

    internal GateState Left()
    {
        Debug.Assert(Count > 0, "somebody is in");
        return new(Word - 1);
    }

    internal GateState WithWaiting(bool waiting) => new(waiting ? Word | WaitingBit : Word & ~WaitingBit);

    internal GateState NextVersion() =>
        new((Word & ~(VersionMask << VersionShift)) | (((Version + 1UL) & VersionMask) << VersionShift));

    /// <summary>Nothing is pending any more; what still runs inline has been settled.</summary>
    internal GateState NextGeneration() => new((Word & ~CountMask) + (1UL << GenerationShift));
}
