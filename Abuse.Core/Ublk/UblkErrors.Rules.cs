namespace Abuse.Core;

/// <content>
/// What ends a queue's thread: the kernel broke a rule of its own, as a rule. Made here, out of the way of the paths that every request takes.
/// </content>
internal static partial class UblkErrors
{
    internal static UblkException UnknownTag(int tag, int count) => Broken($"The kernel gave tag {tag} of {count}.");

    internal static UblkException TagGivenTwice(int tag, UblkTagState state) =>
        Broken($"The kernel gave tag {tag}, which it had given before: {state}.");

    internal static UblkException TagRefused(int tag, int result) => result < 0
        ? Broken($"The kernel refused tag {tag} with errno {-result}.", -result)
        : Broken($"The kernel refused tag {tag} with the unknown answer {result}.");

    internal static UblkException TooLong(long length, int most) =>
        Broken($"The kernel asked for {length} bytes at once, where {most} are the most that were agreed on.");

    internal static UblkException NothingTaken(int queue, int errno) =>
        Broken($"The kernel no longer takes what queue {queue} hands over: io_uring_enter says errno {errno}.", errno);

    internal static UblkException NoEntry(int queue, int tag) =>
        Broken($"Queue {queue} has no room for the entry of tag {tag}, where each tag has room for one.");

    /// <summary>Not the kernel's doing, but the end of a queue as well.</summary>
    internal static UblkException NoMemory(UblkPlan plan, Exception exception) => new(UblkFailure.NoResources,
        $"No memory is left for buffers of {ByteSize.Format(plan.MaxRequestSize)}, of which the disk may have {plan.Queues} x {plan.QueueDepth} and more: ask for fewer queues, fewer or smaller requests, or give the process more (DOTNET_GCHeapHardLimit, the container's limit).",
        null, exception);

    private static UblkException Broken(string what, int? errno = null) => new(UblkFailure.Unexpected, what, errno);
}
