namespace Abuse.Core;

/// <summary>The numbers of the protocol, by their names in its document. All are sent in network order.</summary>
internal static class NbdWire
{
    /// <summary>"NBDMAGIC".</summary>
    internal const ulong Magic = 0x4e42444d41474943;

    /// <summary>"IHAVEOPT".</summary>
    internal const ulong OptionMagic = 0x49484156454f5054;

    internal const ulong OptionReplyMagic = 0x0003e889045565a9;
    internal const uint RequestMagic = 0x25609513;
    internal const uint ExtendedRequestMagic = 0x21e41c71;
    internal const uint SimpleReplyMagic = 0x67446698;
    internal const uint StructuredReplyMagic = 0x668e33ef;
    internal const uint ExtendedReplyMagic = 0x6e8a278c;

    /// <summary>NBD_FLAG_FIXED_NEWSTYLE and NBD_FLAG_NO_ZEROES, of the server and of the client alike.</summary>
    internal const ushort FixedNewstyle = 1;
    internal const ushort NoZeroes = 2;

    internal const int RequestSize = 28;
    internal const int ExtendedRequestSize = 32;
    internal const int SimpleReplySize = 16;
    internal const int StructuredReplySize = 20;
    internal const int ExtendedReplySize = 32;

    /// <summary>Strings are at most so many bytes.</summary>
    internal const int MaxString = 4096;

    /// <summary>The id by which clients know base:allocation.</summary>
    internal const uint AllocationContext = 1;
    internal const string AllocationName = "base:allocation";
    internal const uint StateHole = 1;
    internal const uint StateZero = 2;

    /// <summary>NBD_REPLY_FLAG_DONE.</summary>
    internal const ushort Done = 1;
}

internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
    ExtendedHeaders = 11,
}

internal enum NbdOptionReply : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    ErrUnsupported = 0x80000001,
    ErrInvalid = 0x80000003,
    ErrUnknown = 0x80000006,
    ErrTooBig = 0x80000009,
    ErrExtendedHeadersRequired = 0x8000000a,
}

internal enum NbdInfo : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}

[Flags]
internal enum NbdTransmissionFlags : ushort
{
    HasFlags = 1 << 0,
    ReadOnly = 1 << 1,
    SendFlush = 1 << 2,
    SendFua = 1 << 3,
    Rotational = 1 << 4,
    SendTrim = 1 << 5,
    SendWriteZeroes = 1 << 6,
    SendDf = 1 << 7,
    CanMultiConn = 1 << 8,
    SendCache = 1 << 10,
    SendFastZero = 1 << 11,
    BlockStatusPayload = 1 << 12,
}

internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    Cache = 5,
    WriteZeroes = 6,
    BlockStatus = 7,
}

[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    Fua = 1 << 0,
    NoHole = 1 << 1,
    DontFragment = 1 << 2,
    RequestOne = 1 << 3,
    FastZero = 1 << 4,
    PayloadLength = 1 << 5,
}

internal enum NbdReplyType : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    BlockStatusExtended = 6,
    Error = 0x8001,
}

/// <summary>The errors that the protocol knows.</summary>
internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    Io = 5,
    NoMemory = 12,
    Invalid = 22,
    NoSpace = 28,
    Overflow = 75,
    NotSupported = 95,
    Shutdown = 108,
}

/// <summary>What a client negotiated for replies.</summary>
internal enum NbdReplyStyle : byte
{
    Simple,
    Structured,
    Extended,
}
