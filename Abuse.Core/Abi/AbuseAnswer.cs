namespace Abuse.Core.Abi;

/// <summary>Results in an <see cref="AbuseTransferHeader"/>.</summary>
public enum AbuseAnswer : uint
{
    /// <summary>The bio succeeds.</summary>
    Okay = 0,

    /// <summary>This bio fails, others are untouched.</summary>
    MediaFailure = 1,

    /// <summary>Every pending bio fails.</summary>
    DeviceFailure = 2,
}
