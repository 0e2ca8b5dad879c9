namespace Abuse.Core;

/// <summary>What becomes of a <c>ublk</c> disk and its requests when the process that serves it ends without stopping it.</summary>
public enum UblkRecovery
{
    /// <summary>The disk goes away and its requests fail.</summary>
    None = 0,

    /// <summary>The disk stays. Requests that the server had fail; new ones wait for the next server. Linux 6.1.</summary>
    Queue = 1,

    /// <summary>
    /// The disk stays. Requests that the server had are given to the next one, so a write may be done twice; new ones wait. Linux 6.1.
    /// </summary>
    Reissue = 2,

    /// <summary>The disk stays. Every request fails until the next server comes. Linux 6.13.</summary>
    Fail = 3,
}
