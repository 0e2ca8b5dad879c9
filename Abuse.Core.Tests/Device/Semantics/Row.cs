namespace Abuse.Core.Tests;

/// <summary>
/// The rows of what a faithful model does, section by section. Each has at least one test that carries it
/// (<see cref="SemanticsRowAttribute"/>); <see cref="SemanticsTableTests"/> holds the suite to that.
/// </summary>
internal static class Row
{
    internal const string NeverConfigured = "2 never configured";
    internal const string BeyondTheEnd = "2 beyond the end";
    internal const string WholeSectors = "2 whole sectors";
    internal const string WriteToReadOnly = "2 write to read-only";
    internal const string QueueFull = "2 queue full";
    internal const string ReadAhead = "2 read-ahead";
    internal const string EmptyBarrier = "2 no segments";
    internal const string Otherwise = "2 otherwise";
    internal const string BlockSideOrder = "2 order of checks";
    internal const string QueueSizeCountsAll = "2 queue_size counts delivered or not";

    internal const string Connectionless = "3 connectionless";
    internal const string GetStatus = "3 GET_STATUS";
    internal const string StatusSizeTooLarge = "3 SET_STATUS size does not fit";
    internal const string StatusBlockSizeZero = "3 SET_STATUS blocksize 0";
    internal const string StatusSizeNotBlocks = "3 SET_STATUS size not a multiple";
    internal const string StatusMaxQueueLimit = "3 SET_STATUS max_queue > 512";
    internal const string StatusNeedsReconnect = "3 SET_STATUS without RECONNECT";
    internal const string StatusReconnectShape = "3 SET_STATUS reconnect with another shape";
    internal const string StatusReconnectPending = "3 SET_STATUS reconnect below what is pending";
    internal const string StatusBlockSizePower = "3 SET_STATUS blocksize not a power of two";
    internal const string StatusOk = "3 SET_STATUS ok";
    internal const string StatusOrder = "3 SET_STATUS order of checks";
    internal const string StatusFailureChangesNothing = "3 SET_STATUS failed";
    internal const string ResetFailsPending = "3 RESET fails pending";
    internal const string ResetZeroes = "3 RESET zeroes";
    internal const string ResetDropsPartitions = "3 RESET drops partitions";
    internal const string ResetSucceeds = "3 RESET always succeeds";
    internal const string ResetAtomic = "3 RESET atomic against submits";
    internal const string GetBioRotates = "3 GET_BIO round-robin";
    internal const string GetBioFields = "3 GET_BIO fields";
    internal const string GetBioVectors = "3 GET_BIO vectors";
    internal const string GetBioBadVectors = "3 GET_BIO bad vector area";
    internal const string GetBioNothing = "3 GET_BIO nothing pending";
    internal const string GetBioIds = "3 GET_BIO ids";
    internal const string PutDeviceFailure = "3 PUT_BIO DEVICE_FAILURE";
    internal const string PutNotPending = "3 PUT_BIO id not pending";
    internal const string PutIdZero = "3 PUT_BIO id 0";
    internal const string PutMismatch = "3 PUT_BIO mismatch";
    internal const string PutUndefinedResult = "3 PUT_BIO undefined result";
    internal const string PutMediaFailure = "3 PUT_BIO MEDIA_FAILURE";
    internal const string PutFault = "3 PUT_BIO fault";
    internal const string PutMovesData = "3 PUT_BIO data";
    internal const string PutOrder = "3 PUT_BIO order of steps";
    internal const string NullArgument = "3 NULL argument";
    internal const string UnknownNumber = "3 SET_POLL and other numbers";
    internal const string Poll = "3 poll";

    internal const string ModuleLoad = "4 load";
    internal const string ModuleMaxPart = "4 max_part";
    internal const string ModuleOnDemand = "4 device on demand";
    internal const string ModuleMissing = "4 open of a missing number";
    internal const string ModuleUnload = "4 unload";
    internal const string ModuleRotational = "4 rotational";

    internal const string BeyondFlush = "5 Flush";
    internal const string BeyondFua = "5 FUA";
    internal const string BeyondDiscard = "5 Discard";
    internal const string BeyondWriteZeroes = "5 WriteZeroes";
    internal const string BeyondGrow = "5 growing in use";
    internal const string BeyondPartitions = "5 partitions";
    internal const string BeyondServerKilled = "5 recovery after the server is killed";

    internal const string D1 = "D1";
    internal const string D2 = "D2";
    internal const string D3 = "D3";
    internal const string D4 = "D4";
    internal const string D5 = "D5";
    internal const string D6 = "D6";
    internal const string D7 = "D7";
    internal const string D8 = "D8";
    internal const string D9 = "D9";
    internal const string D10 = "D10";
    internal const string D11 = "D11";
    internal const string D12 = "D12";
    internal const string D13 = "D13";
    internal const string D14 = "D14";
    internal const string D15 = "D15";
}
