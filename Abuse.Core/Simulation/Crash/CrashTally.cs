using System.Collections.Concurrent;

namespace Abuse.Core;

/// <summary>What all workers of an exploration found of recoveries that crashed. Thread-safe.</summary>
/// <remarks>
/// A content that was found right after the same marks is not checked again, whatever recovery left it. Only what was found right is noted, so
/// that which state is found wrong first does not depend on who was faster.
/// </remarks>
internal sealed class CrashTally
{
    /// <summary>Beyond this, contents are checked again rather than remembered.</summary>
    private const int MostPassed = 1 << 20;

    private readonly ConcurrentDictionary<(UInt128 Hash, int Marks), int> _passed = [];
    private int _count;
    private long _states;
    private long _unfinished;

    /// <summary>States of recoveries that were found right.</summary>
    internal long States => Volatile.Read(ref _states);

    /// <summary>Recoveries of which not all states were checked.</summary>
    internal long Unfinished => Volatile.Read(ref _unfinished);

    internal bool HasPassed(CrashCursor cursor, int depth) => _passed.TryGetValue(KeyOf(cursor), out int passed) && passed >= depth;

    internal void Pass(CrashCursor cursor, int depth)
    {
        Interlocked.Increment(ref _states);
        Note(cursor, depth);
    }

    /// <summary>The same for a state of the workload itself, which counts elsewhere.</summary>
    internal void Note(CrashCursor cursor, int depth)
    {
        if (Volatile.Read(ref _count) < MostPassed && _passed.TryAdd(KeyOf(cursor), depth))
        {
            Interlocked.Increment(ref _count);
        }
    }

    internal void EndInner(bool isWhole)
    {
        if (!isWhole)
        {
            Interlocked.Increment(ref _unfinished);
        }
    }

    private static (UInt128 Hash, int Marks) KeyOf(CrashCursor cursor) => (cursor.Hash, cursor.First.Marks);
}
