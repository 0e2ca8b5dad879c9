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
}
