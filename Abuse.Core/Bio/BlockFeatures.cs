namespace Abuse.Core;

/// <summary>
/// The operations beyond 2009's read and write that a server takes, and so a device offers. All are off until a server says that it
/// takes them, because a server of 2009 that answers an unknown command OKAY would lie about durability.
/// </summary>
[Flags]
public enum BlockFeatures
{
    /// <summary>Reads and writes alone: the device of 2009.</summary>
    None = 0,

    /// <summary><see cref="BioOp.Flush"/>.</summary>
    Flush = 1,

    /// <summary>Writes that are durable when they complete (force unit access).</summary>
    Fua = 2,

    /// <summary><see cref="BioOp.Discard"/>.</summary>
    Discard = 4,

    /// <summary><see cref="BioOp.WriteZeroes"/>.</summary>
    WriteZeroes = 8,

    /// <summary>Every feature there is.</summary>
    All = Flush | Fua | Discard | WriteZeroes,
}
