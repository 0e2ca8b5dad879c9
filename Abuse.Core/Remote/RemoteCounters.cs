namespace Abuse.Core;

/// <summary>What a server's connections have done. Thread-safe.</summary>
internal sealed class RemoteCounters
{
    private long _bios;
    private long _late;
    private long _givenBack;

    internal void Count(AnswerResult result)
    {
        if (result == AnswerResult.Accepted)
        {
            Interlocked.Increment(ref _bios);
        }
        else
        {
            CountLate();
        }
    }

    internal void CountLate() => Interlocked.Increment(ref _late);

    internal void CountAbandoned() => Interlocked.Increment(ref _givenBack);

    internal RemoteStatistics Snapshot(PeerListener listener) => new()
    {
        Connections = listener.Count,
        TotalConnections = listener.Total,
        RefusedConnections = listener.Refused,
        Bios = Volatile.Read(ref _bios),
        LateAnswers = Volatile.Read(ref _late),
        GivenBack = Volatile.Read(ref _givenBack),
    };
}
