namespace Abuse.Core.Abi;

/// <summary>Commands of <see cref="AbuseTransferHeader"/>.</summary>
public enum AbuseCommand : uint
{
    /// <summary>Read.</summary>
    Read = 0,

    /// <summary>Write; without vectors, 2009's empty barrier.</summary>
    Write = 1,

    /// <summary>Defined in 2009 and never sent; here a flush, for controls that said they take it.</summary>
    SyncNotification = 2,
}
