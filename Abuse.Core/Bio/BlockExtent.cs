namespace Abuse.Core;

/// <summary>A run of a target's bytes that are all stored, or all a hole.</summary>
/// <param name="Offset">Where it starts, in bytes.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="IsHole">Whether it takes no storage and reads as zeroes.</param>
public readonly record struct BlockExtent(long Offset, long Length, bool IsHole);
