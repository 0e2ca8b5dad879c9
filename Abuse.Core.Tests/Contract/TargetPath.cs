namespace Abuse.Core.Tests;

/// <summary>The ways in which a device calls a target.</summary>
public enum TargetPath
{
    /// <summary>On a thread that may wait: <c>Execute</c>, and <c>ExecuteAsync</c> if that leaves the bio pending.</summary>
    MayBlock,

    /// <summary>On a thread that may not: the same, but a target that would block leaves the bio pending.</summary>
    MayNotBlock,

    /// <summary><c>ExecuteAsync</c> alone, as for a bio that came through a channel.</summary>
    Async,
}
