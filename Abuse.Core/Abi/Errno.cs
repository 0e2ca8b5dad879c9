namespace Abuse.Core.Abi;

/// <summary>Linux errno values that the interface of 2009 and the outcomes of bios use.</summary>
public enum Errno
{
    /// <summary>Success.</summary>
    None = 0,

    /// <summary>Input/output error.</summary>
    EIO = 5,

    /// <summary>No such device or address.</summary>
    ENXIO = 6,

    /// <summary>Bad address.</summary>
    EFAULT = 14,

    /// <summary>Device or resource busy.</summary>
    EBUSY = 16,

    /// <summary>No such device.</summary>
    ENODEV = 19,

    /// <summary>Invalid argument.</summary>
    EINVAL = 22,

    /// <summary>File too large.</summary>
    EFBIG = 27,

    /// <summary>No space left on device.</summary>
    ENOSPC = 28,

    /// <summary>No message of desired type: nothing is pending, or the bio was settled already.</summary>
    ENOMSG = 42,

    /// <summary>Operation not supported.</summary>
    EOPNOTSUPP = 95,

    /// <summary>Connection timed out; here: the server gave up.</summary>
    ETIMEDOUT = 110,

    /// <summary>Operation now in progress.</summary>
    EINPROGRESS = 115,

    /// <summary>Operation canceled.</summary>
    ECANCELED = 125,
}
