namespace Abuse.Core;

/// <summary>Commands on the control device, encoded as ioctl numbers.</summary>
internal enum UblkCommand : uint
{
    GetQueueAffinity = 0x80207501,
    GetDevInfo = 0x80207502,
    AddDev = 0xC0207504,
    DelDev = 0xC0207505,
    StartDev = 0xC0207506,
    StopDev = 0xC0207507,
    SetParams = 0xC0207508,
    GetParams = 0x80207509,
    StartUserRecovery = 0xC0207510,
    EndUserRecovery = 0xC0207511,
    GetDevInfo2 = 0x80207512,
    GetFeatures = 0x80207513,
    DelDevAsync = 0x80207514,
    UpdateSize = 0xC0207515,
    QuiesceDev = 0xC0207516,
    TryStopDev = 0xC0207517,
    RegBuf = 0xC0207518,
    UnregBuf = 0xC0207519,
}

/// <summary>Commands on a character device, encoded as ioctl numbers.</summary>
internal enum UblkIoCommand : uint
{
    FetchReq = 0xC0107520,
    CommitAndFetchReq = 0xC0107521,
    NeedGetData = 0xC0107522,
    RegisterIoBuf = 0xC0107523,
    UnregisterIoBuf = 0xC0107524,
    PrepIoCmds = 0xC0107525,
    CommitIoCmds = 0xC0107526,
    FetchIoCmds = 0xC0107527,
}

/// <summary>What a request asks for: the low byte of a descriptor's op_flags.</summary>
internal enum UblkOp : byte
{
    Read = 0,
    Write = 1,
    Flush = 2,
    Discard = 3,
    WriteSame = 4,
    WriteZeroes = 5,
    ZoneOpen = 10,
    ZoneClose = 11,
    ZoneFinish = 12,
    ZoneAppend = 13,
    ZoneResetAll = 14,
    ZoneReset = 15,
    ReportZones = 18,
}
