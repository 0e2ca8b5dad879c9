namespace Abuse.Core.Abi;

/// <summary>The numbers of 2009's interface.</summary>
public static class AbuseIoctl
{
    /// <summary>Reads an <see cref="AbuseInfo"/>.</summary>
    public const uint GetStatus = 0x4120;

    /// <summary>Configures the device from an <see cref="AbuseInfo"/>.</summary>
    public const uint SetStatus = 0x4121;

    /// <summary>Defined, never implemented: EINVAL.</summary>
    public const uint SetPoll = 0x4122;

    /// <summary>Fails all that is pending and takes the configuration back.</summary>
    public const uint Reset = 0x4123;

    /// <summary>Fetches a pending bio into an <see cref="AbuseTransferHeader"/>.</summary>
    public const uint GetBio = 0x4124;

    /// <summary>Answers a bio.</summary>
    public const uint PutBio = 0x4125;

    /// <summary>The major number of <c>/dev/abuseN</c>.</summary>
    public const int BlockMajor = 60;

    /// <summary>The major number of <c>/dev/abctlN</c>.</summary>
    public const int ControlMajor = 61;

    /// <summary>The bits of a minor number, and so the most minors there are: 2^20.</summary>
    public const int MinorBits = 20;

    /// <summary>A sector: 512 bytes, whatever the logical block.</summary>
    public const int SectorSize = 512;

    /// <summary>The most vectors in a bio.</summary>
    public const int MaxVectors = 256;

    /// <summary>The most bytes in a vector: one page.</summary>
    public const int MaxVectorLength = 4096;

    /// <summary>The most bytes in a bio that carries memory: 1 MiB.</summary>
    public const int MaxBioLength = MaxVectors * MaxVectorLength;

    /// <summary>The largest <c>max_queue</c>.</summary>
    public const int MaxQueueLimit = 512;

    /// <summary>What poll reports while anything is pending: POLLMSG, alone.</summary>
    public const int PollMessage = 0x400;
}
