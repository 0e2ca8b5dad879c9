using System.Globalization;

namespace Abuse.Core;

/// <summary>What a power loss may leave of the files of a <see cref="SimulatedDirectory"/>.</summary>
public enum CrashRules
{
    /// <summary>
    /// A journalled file system in ordered mode, ext3's and ext4's <c>data=ordered</c> without delayed allocation: names, sizes and the places
    /// of pages survive as a prefix of what was done, and a size that survived has its data. What was overwritten in place may be lost,
    /// sector by sector, until its file was synced.
    /// </summary>
    Ordered,

    /// <summary>
    /// No more than POSIX promises: each name, each size and each sector of data may be lost or kept by itself until synced. To sync a file
    /// makes its size and its data durable, and not its name: that is the directory's, which is synced by itself.
    /// </summary>
    PosixMinimum,
}

/// <summary>What becomes of pages in the cache that could not be written, as file systems differ in it.</summary>
/// <remarks>
/// After Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020. In each case the next sync through each handle fails
/// once.
/// </remarks>
public enum FailedSync
{
    /// <summary>
    /// ext4 and XFS: the page keeps the new content and counts as written. Reads see it, no sync tries again, and a power loss or an eviction
    /// takes it.
    /// </summary>
    KeepsContent,

    /// <summary>Btrfs: the page is dropped, and reads see what the disk has.</summary>
    DropsContent,

    /// <summary>FreeBSD: the page stays dirty, and the next sync tries again.</summary>
    StaysDirty,
}

/// <summary>How the file system of a <see cref="SimulatedDirectory"/> is made. Immutable; it is stored on the disk.</summary>
public sealed record SimulatedDirectoryOptions
{
    internal const int MostRecords = 1 << 16;

    /// <summary>What a power loss may leave.</summary>
    public CrashRules Rules { get; init; }

    /// <summary>What becomes of pages that could not be written.</summary>
    public FailedSync FailedSync { get; init; }

    /// <summary>
    /// With <see cref="CrashRules.Ordered"/>: after how many changes of names, sizes and places the journal is compacted; 4 to 65,536. Null, the
    /// default, lets the disk's size decide. A journal that was filled twice without a sync commits what is in it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int? JournalRecords
    {
        get;
        init => field = value is null or (>= 4 and <= MostRecords)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"A journal has 4 to {MostRecords} records.");
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Rules}, {FailedSync}{(JournalRecords is { } records ? $", a journal of {records} records" : "")}");
}
