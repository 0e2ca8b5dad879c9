namespace Abuse.Core;

/// <summary>What a kernel's <c>ublk</c> driver can do, and what a disk was made with: the kernel's own bits.</summary>
[Flags]
public enum UblkFeatures : ulong
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Buffers of requests can be registered with a ring. Linux 6.15.</summary>
    SupportZeroCopy = 1UL << 0,

    /// <summary>Commands are always completed in the server's own task.</summary>
    UringCmdCompInTask = 1UL << 1,

    /// <summary>A write is delivered before its data, which the server then asks for.</summary>
    NeedGetData = 1UL << 2,

    /// <summary>A disk outlives its server. Linux 6.1.</summary>
    UserRecovery = 1UL << 3,

    /// <summary>Requests that a dead server had are given to the next one. Linux 6.1.</summary>
    UserRecoveryReissue = 1UL << 4,

    /// <summary>Disks of users other than root. Linux 6.3.</summary>
    UnprivilegedDev = 1UL << 5,

    /// <summary>Commands are encoded as ioctl numbers. Linux 6.4.</summary>
    CmdIoctlEncode = 1UL << 6,

    /// <summary>The server copies by reads and writes on the character device. Linux 6.5.</summary>
    UserCopy = 1UL << 7,

    /// <summary>Zoned disks. Linux 6.6.</summary>
    Zoned = 1UL << 8,

    /// <summary>Requests fail while there is no server. Linux 6.13.</summary>
    UserRecoveryFailIo = 1UL << 9,

    /// <summary>A served disk can be resized. Linux 6.16.</summary>
    UpdateSize = 1UL << 10,

    /// <summary>Buffers are registered before a request is delivered. Linux 6.16.</summary>
    AutoBufReg = 1UL << 11,

    /// <summary>A server can be detached in good order. Linux 6.16.</summary>
    Quiesce = 1UL << 12,

    /// <summary>Each tag may have a thread of its own. Linux 6.16.</summary>
    PerIoDaemon = 1UL << 13,

    /// <summary>Buffers can be registered from any thread. Linux 6.17.</summary>
    BufRegOffDaemon = 1UL << 14,

    /// <summary>Requests are fetched and answered many at a time. Linux 7.0.</summary>
    BatchIo = 1UL << 15,

    /// <summary>Requests with metadata. Linux 7.0.</summary>
    Integrity = 1UL << 16,

    /// <summary>A disk can be stopped on condition that nobody has it open. Linux 7.0.</summary>
    SafeStopDev = 1UL << 17,

    /// <summary>Partitions are not looked for when a disk starts. Linux 7.0.</summary>
    NoAutoPartScan = 1UL << 18,

    /// <summary>Requests whose memory the server shares are served in place. Linux 7.1.</summary>
    ShmemZc = 1UL << 19,

    /// <summary>The size of a descriptor is told. Linux 7.3.</summary>
    IoDescSize = 1UL << 20,
}
