namespace Abuse.Core;

/// <summary>What a bio asks of the device.</summary>
public enum BioOp : byte
{
    /// <summary>Fill the bio's memory from the device.</summary>
    Read = 0,

    /// <summary>Store the bio's memory on the device. Without any memory this is the empty barrier of 2009.</summary>
    Write = 1,

    /// <summary>Make every write that completed before this bio was submitted durable. Carries no memory.</summary>
    Flush = 2,

    /// <summary>The range is no longer needed; what it reads as afterwards is the target's to say. Carries no memory.</summary>
    Discard = 3,

    /// <summary>The range reads as zeroes afterwards. Carries no memory.</summary>
    WriteZeroes = 4,
}
