namespace Abuse.Core.Abi;

/// <summary>Flags of <see cref="AbuseInfo"/>.</summary>
[Flags]
public enum AbuseFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Writes are refused.</summary>
    ReadOnly = 1,

    /// <summary>The caller means to configure a device that is configured already.</summary>
    Reconnect = 2,
}
