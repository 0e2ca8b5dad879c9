namespace Abuse.Core;

/// <summary>What a fault does to a bio, or to the disk.</summary>
public enum FaultEffect
{
    /// <summary>The bio fails with a result, and has no effect.</summary>
    Status,

    /// <summary>The bio takes longer.</summary>
    Delay,

    /// <summary>The bio has no answer until the device is reset, and no effect.</summary>
    Hang,

    /// <summary>The sectors can't be read from now on, until a write heals them.</summary>
    Media,

    /// <summary>A bit of what is stored has changed.</summary>
    BitRot,

    /// <summary>A write is answered, and was not done.</summary>
    Lost,

    /// <summary>A write went to another place.</summary>
    Misdirected,

    /// <summary>A part of a write's atomic units was written. It fails unless the rule says that it is answered as done.</summary>
    Torn,

    /// <summary>A read returns what was there before the last write.</summary>
    Stale,

    /// <summary>A flush fails, and what was not durable is gone at once.</summary>
    FlushDropped,

    /// <summary>A flush is answered, and made nothing durable; of an FUA write, the write is done and not durable.</summary>
    FlushIgnored,

    /// <summary>A write is done twice, the second time later.</summary>
    Duplicate,

    /// <summary>A write is failed, and done later nevertheless.</summary>
    Zombie,

    /// <summary>The whole disk is slow for a while.</summary>
    Limp,

    /// <summary>The disk is gone: every bio fails from now on.</summary>
    DeviceFailure,

    /// <summary>The disk resets itself: everything that is under way fails.</summary>
    Reset,
}
