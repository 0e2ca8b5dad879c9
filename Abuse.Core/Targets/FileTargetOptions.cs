namespace Abuse.Core;

/// <summary>How a <see cref="FileTarget"/> is opened. Immutable.</summary>
public sealed record FileTargetOptions
{
    /// <summary>The largest <see cref="Concurrency"/>: as many bios as a device can have pending.</summary>
    public const int MaxConcurrency = 512;

    /// <summary>The default of every option.</summary>
    internal static readonly FileTargetOptions Default = new();

    /// <summary>The logical block in bytes: a power of two from 512 to 4096. The file must be a whole number of them.</summary>
    public int BlockSize { get; init; } = BlockGeometry.SectorSize;

    /// <summary>Whether the file may be written to.</summary>
    public FileTargetAccess Access { get; init; }

    /// <summary>
    /// What others may do with the file meanwhile. Null: nothing where it is open for writing, since two devices over one image destroy
    /// it, and read where it is not. On Unix this binds only programs that take locks (flock), as all of .NET does.
    /// </summary>
    public FileShare? Share { get; init; }

    /// <summary>
    /// How many bios that came asynchronously may wait for the file at once, each on a thread that is made when first needed: 1 to
    /// <see cref="MaxConcurrency"/>. More wait in line.
    /// </summary>
    public int Concurrency { get; init; } = 32;
}
