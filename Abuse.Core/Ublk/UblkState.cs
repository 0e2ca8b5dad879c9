namespace Abuse.Core;

/// <summary>The state of a <c>ublk</c> disk, as the kernel numbers it.</summary>
public enum UblkState
{
    /// <summary>Not started, or stopped.</summary>
    Dead = 0,

    /// <summary>Served, or its server ended so recently that the kernel has not noticed.</summary>
    Live = 1,

    /// <summary>Without a server. Requests wait for one.</summary>
    Quiesced = 2,

    /// <summary>Without a server. Requests fail until one comes.</summary>
    FailIo = 3,
}
