using System.Globalization;

namespace Abuse.Core;

/// <summary>What takes a workload off the loop, told to those whom it happens to.</summary>
internal static class SimulationCulprits
{
    private const string Usual =
        "The usual culprits: SemaphoreSlim.WaitAsync that had to wait; a Channel without AllowSynchronousContinuations; Task.Yield; Task.Run; a delay, "
        + "a timer or a CancellationTokenSource with a timeout that was not given the simulation's clock (sim.Time); a TaskCompletionSource with "
        + "RunContinuationsAsynchronously; a file or a socket. ";

    internal static string Describe(string what) => string.Create(CultureInfo.InvariantCulture,
        $"""
        {what} from {Here()} and not from the simulation's loop, so that the order of things is not the seed's to decide.
        Something that the workload awaited before continues on the thread pool. {Usual}
        Replace it, or run with {nameof(SimulationMode)}.{nameof(SimulationMode.Serialized)} (any threads, but no exact replay), or record the workload with {nameof(BlockRecorder)} and explore the recording, which needs neither.
        It came from:
        {Environment.StackTrace}
        """);

    internal static string DescribeStall(TimeSpan at, TimeSpan waited) => string.Create(CultureInfo.InvariantCulture,
        $"Nothing is left to do at {at} of virtual time, and the workload has not ended: it awaits something that is not on the simulation's loop, and that did not come within {waited} of real time, or that never comes (a bio that hangs, a lock that nobody releases). {Usual}");

    internal static string DescribeBusy(TimeSpan waited) => string.Create(CultureInfo.InvariantCulture,
        $"The workload has kept the simulation's loop for {waited} of real time and waited for nothing: an endless loop, or a blocking call (Task.Wait, Result, a lock) for something that only the loop can do. Its thread is left to itself.");

    internal static string Name(BioHead bio) =>
        bio.Op == BioOp.Flush ? "A bio (Flush)" : string.Create(CultureInfo.InvariantCulture, $"A bio ({bio.Op} of {bio.Length} bytes at {bio.Offset})");

    private static string Here()
    {
        Thread thread = Thread.CurrentThread;
        return thread.IsThreadPoolThread ? "a thread of the thread pool" : string.IsNullOrEmpty(thread.Name) ? "another thread" : $"the thread \"{thread.Name}\"";
    }
}
