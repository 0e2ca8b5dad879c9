using System.Globalization;
using System.Numerics;

namespace Abuse.Core;

/// <summary>The machine that a disk is planned for, and what would be served there.</summary>
internal sealed record UblkHost
{
    /// <summary>How many processors the kernel counts; it makes no more queues than that.</summary>
    internal required int Processors { get; init; }

    /// <summary>Bytes in a page: a power of two from 4096.</summary>
    internal required int PageSize { get; init; }

    /// <summary>The kernel's release, as uname tells it: "6.12.95+deb12-cloud-amd64".</summary>
    internal required string KernelRelease { get; init; }

    /// <summary>Whether the target can do its I/O on registered memory of the kernel.</summary>
    internal bool TargetTakesZeroCopy { get; init; }

    /// <summary>What the target calls its data; null where the data dies with the process.</summary>
    internal string? TargetIdentity { get; init; }

    /// <summary>The numbers at the head of <see cref="KernelRelease"/>, the third 0 where there is none; null if there are none at all.</summary>
    internal Version? KernelVersion
    {
        get
        {
            ReadOnlySpan<char> rest = KernelRelease;
            return TakeNumber(ref rest) is { } major && TakeDot(ref rest) && TakeNumber(ref rest) is { } minor
                ? new Version(major, minor, TakeDot(ref rest) ? TakeNumber(ref rest) ?? 0 : 0)
                : null;
        }
    }

    /// <exception cref="ArgumentException">No machine is like that.</exception>
    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Processors);
        ArgumentNullException.ThrowIfNull(KernelRelease);
        if (PageSize < UblkAbi.MinSegmentSize || !BitOperations.IsPow2(PageSize))
        {
            throw new ArgumentException($"A page is a power of two from 4096 bytes, not {PageSize}.");
        }
    }

    private static int? TakeNumber(ref ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOfAnyExceptInRange('0', '9');
        ReadOnlySpan<char> digits = end < 0 ? rest : rest[..end];
        rest = rest[digits.Length..];
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
    }

    private static bool TakeDot(ref ReadOnlySpan<char> rest)
    {
        bool there = rest is ['.', ..];
        rest = there ? rest[1..] : rest;
        return there;
    }
}
