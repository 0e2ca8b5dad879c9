namespace Abuse.Core.Tests;

/// <summary>The forms in which <see cref="BlockClient"/> offers every operation.</summary>
public enum ClientStyle
{
    /// <summary>Asynchronous, throws.</summary>
    Async,

    /// <summary>Synchronous, throws.</summary>
    Sync,

    /// <summary>Asynchronous, returns the outcome.</summary>
    TryAsync,

    /// <summary>Synchronous, returns the outcome.</summary>
    TrySync,
}
