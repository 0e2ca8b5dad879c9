namespace Abuse.Core;

/// <summary>
/// What an atomic unit may hold, and when. Versions are numbered: 0 is the content at the start, then one for each write in the order in
/// which they were submitted, each with all writes before it beneath it; then those that other orders of overlapping writes leave
/// (<see cref="UnitOrders"/>).
/// </summary>
internal sealed record UnitVersions(long Unit, int[] Bios, ReadOnlyMemory<byte>[] Contents, UInt128[] Hashes, long[] From, long[] LostAt)
{
    /// <summary>For each version of another order the writes that are seen in it, in order of submission.</summary>
    internal int[][] Orders { get; init; } = [];

    /// <summary>Whether these are all. If not, what is not among them may be there as well, and at other times.</summary>
    internal bool IsWhole { get; init; } = true;

    /// <summary>How many versions there are in the order of submission.</summary>
    internal int Chain => Bios.Length + 1;

    /// <summary>Whether a power loss after so many events may leave a version.</summary>
    internal bool IsAllowed(int version, long point) => From[version] <= point && point <= LostAt[version];
}
