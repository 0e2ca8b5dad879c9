namespace Abuse.Core;

/// <summary>How the data of requests passes between the kernel and the process that serves a <c>ublk</c> disk.</summary>
public enum UblkBuffers
{
    /// <summary>The kernel copies between the request and memory of the server. Works on every kernel.</summary>
    Copy = 0,

    /// <summary>The server copies, by reads and writes on the character device. Linux 6.5; falls back to <see cref="Copy"/>.</summary>
    UserCopy = 1,

    /// <summary>
    /// Nobody copies: the target's file does its I/O on the memory of the request. Linux 6.16, and a target that can do it; falls back to
    /// <see cref="UserCopy"/>.
    /// </summary>
    ZeroCopy = 2,
}
