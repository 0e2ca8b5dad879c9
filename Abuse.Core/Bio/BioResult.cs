namespace Abuse.Core;

/// <summary>
/// The outcome of a bio. Below <c>BlockClient</c> an outcome is always such a value, never an exception.
/// <see cref="BioResults"/> maps each to an errno and a sentence.
/// </summary>
public enum BioResult : byte
{
    /// <summary>
    /// Not an outcome: the bio is still being worked on. It is the value of <c>default</c>, so that a forgotten result is never
    /// taken for success.
    /// </summary>
    Pending = 0,

    /// <summary>Done, whole: there are no short transfers.</summary>
    Ok = 1,

    /// <summary>The target failed in a way that nothing below tells more precisely (it threw, or answered nonsense).</summary>
    IoError = 2,

    /// <summary>The medium failed under this bio; others are untouched.</summary>
    MediaFailure = 3,

    /// <summary>A server declared the whole device failed while this bio was pending.</summary>
    DeviceFailure = 4,

    /// <summary>There is no room behind the device.</summary>
    NoSpace = 5,

    /// <summary>Nothing that serves the device takes this operation.</summary>
    NotSupported = 6,

    /// <summary>A write, discard or write of zeroes to a read-only device.</summary>
    ReadOnly = 7,

    /// <summary>The range ends beyond the end of the device.</summary>
    OutOfRange = 8,

    /// <summary><c>max_queue</c> bios were pending when a raw submission came.</summary>
    QueueFull = 9,

    /// <summary>The device is not configured, was reset while the bio was pending, or is gone.</summary>
    Offline = 10,

    /// <summary>A server gave up on the bio after a time.</summary>
    Timeout = 11,

    /// <summary>The submitter cancelled; whether the device did the work is unknown.</summary>
    Canceled = 12,
}
