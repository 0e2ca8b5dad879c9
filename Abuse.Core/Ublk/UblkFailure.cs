namespace Abuse.Core;

/// <summary>Why something with a <c>ublk</c> disk failed, as far as a program may want to act on it.</summary>
public enum UblkFailure
{
    /// <summary>The kernel did what this library does not expect; the message says what.</summary>
    Unexpected = 0,

    /// <summary>There is no control device: the module <c>ublk_drv</c> is not loaded, or this is no Linux.</summary>
    NotLoaded,

    /// <summary>The process may not do it: it is not root, or a container forbids it.</summary>
    NotPermitted,

    /// <summary>The process can't use <c>io_uring</c>, without which there is no <c>ublk</c>.</summary>
    NoIoUring,

    /// <summary>The kernel is older than what was asked for.</summary>
    TooOld,

    /// <summary>The kernel has a fault that would bring the machine down.</summary>
    KnownBad,

    /// <summary>The id that was asked for has a disk.</summary>
    IdInUse,

    /// <summary>There is no disk of that id.</summary>
    NoSuchDevice,

    /// <summary>Somebody has the disk open, or another server has it.</summary>
    Busy,

    /// <summary>The kernel did not answer in time.</summary>
    TimedOut,

    /// <summary>The kernel refused what was asked for.</summary>
    Refused,

    /// <summary>The kernel has no memory or no number left for it.</summary>
    NoResources,

    /// <summary>The disk, or the target behind it, is not made to be taken over by another server.</summary>
    NotRecoverable,

    /// <summary>The disk that is to be taken over is another than the one that would be served.</summary>
    Mismatch,

    /// <summary>The disk was stopped by somebody else, or what served it failed.</summary>
    Ended,
}
