namespace Abuse.Core;

/// <summary>How many bios were in flight after each event: submitted and not answered.</summary>
internal sealed class DepthOverTime
{
    internal DepthOverTime(EventAxis events)
    {
        After = new long[events.Count];
        long depth = 0;
        for (int i = 0; i < After.Length; i++)
        {
            if (events.Bio(i, out bool isCompletion) is not null)
            {
                depth += isCompletion ? -1 : 1;
            }

            After[i] = depth;
            Max = Math.Max(Max, depth);
        }
    }

    internal long[] After { get; }

    internal long Max { get; }
}
