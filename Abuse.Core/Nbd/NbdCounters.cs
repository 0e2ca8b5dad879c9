namespace Abuse.Core;

/// <summary>What is counted for <see cref="NbdStatistics"/>. Thread-safe; connections add up what they have before they come here.</summary>
internal sealed class NbdCounters
{
    private long _requests;
    private long _errors;
    private long _bytesRead;
    private long _bytesWritten;

    internal void Add(in NbdTally tally)
    {
        Interlocked.Add(ref _requests, tally.Requests);
        if (tally.Errors != 0)
        {
            Interlocked.Add(ref _errors, tally.Errors);
        }

        if (tally.BytesRead != 0)
        {
            Interlocked.Add(ref _bytesRead, tally.BytesRead);
        }

        if (tally.BytesWritten != 0)
        {
            Interlocked.Add(ref _bytesWritten, tally.BytesWritten);
        }
    }

    internal NbdStatistics Snapshot(PeerListener listener) => new()
    {
        Connections = listener.Count,
        TotalConnections = listener.Total,
        RefusedConnections = listener.Refused,
        Requests = Volatile.Read(ref _requests),
        Errors = Volatile.Read(ref _errors),
        BytesRead = Volatile.Read(ref _bytesRead),
        BytesWritten = Volatile.Read(ref _bytesWritten),
    };
}

/// <summary>Counts of one thread, for a moment.</summary>
internal struct NbdTally
{
    internal long Requests;
    internal long Errors;
    internal long BytesRead;
    internal long BytesWritten;

    /// <summary>Counts an answered request.</summary>
    internal void Count(NbdCommand command, long length, NbdError error)
    {
        Requests++;
        if (error != NbdError.None)
        {
            Errors++;
        }
        else if (command == NbdCommand.Read)
        {
            BytesRead += length;
        }
        else if (command == NbdCommand.Write)
        {
            BytesWritten += length;
        }
    }
}
