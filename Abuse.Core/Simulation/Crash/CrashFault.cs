namespace Abuse.Core;

/// <summary>That a check found a state wrong, or one that a crash of its recovery left.</summary>
/// <param name="Verdict">What it said.</param>
/// <param name="Inner">The crash of the recovery; null if the state itself is wrong.</param>
internal sealed record CrashFault(CrashVerdict Verdict, CrashInner? Inner = null);

/// <summary>A crash of a recovery.</summary>
/// <param name="Recovery">What the recovery did to the disk.</param>
/// <param name="Pick">Which state of it.</param>
/// <param name="Fault">What is wrong with that.</param>
internal sealed record CrashInner(BlockTrace Recovery, CrashPick Pick, CrashFault Fault);
