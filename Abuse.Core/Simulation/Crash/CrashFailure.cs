using System.Text;

namespace Abuse.Core;

/// <summary>A crash state that its check found wrong. Immutable.</summary>
public sealed record CrashFailure
{
    internal CrashFailure(string id, CrashVerdict verdict, IReadOnlyList<CrashLoss> crashes)
    {
        Id = id;
        Verdict = verdict;
        Crashes = crashes;
    }

    /// <summary>Its name, with as few deviations as are needed, for <see cref="CrashExplorer.ReplayAsync"/>.</summary>
    public string Id { get; }

    /// <summary>What the check said.</summary>
    public CrashVerdict Verdict { get; }

    /// <summary>What each crash did: the first, then that of the recovery from it, and so on.</summary>
    public IReadOnlyList<CrashLoss> Crashes { get; }

    /// <summary>Writes that were answered and that the last crash lost.</summary>
    public IReadOnlyList<TracedBio> Lost => Crashes[^1].Lost;

    /// <summary>Writes that landed in the last crash without having been answered.</summary>
    public IReadOnlyList<TracedBio> Landed => Crashes[^1].Landed;

    /// <summary>What is missing in the program, as far as the state tells; null where nothing was lost.</summary>
    public string? MissingFlush => Crashes[^1].MissingFlush;

    /// <inheritdoc/>
    public override string ToString()
    {
        StringBuilder text = new StringBuilder(Id).Append(": ").Append(Verdict);
        for (int i = 0; i < Crashes.Count; i++)
        {
            if (Crashes.Count > 1)
            {
                text.AppendLine().Append(i == 0 ? "  The first crash: " : "  The crash of its recovery: ").Append(Id.Split('/')[i]);
            }

            Crashes[i].AppendTo(text);
        }

        return text.ToString();
    }
}

/// <summary>What one crash did to the writes before it. Immutable.</summary>
public sealed record CrashLoss
{
    /// <summary>Writes that were answered and lost.</summary>
    public IReadOnlyList<TracedBio> Lost { get; internal init; } = [];

    /// <summary>Writes that landed without having been answered.</summary>
    public IReadOnlyList<TracedBio> Landed { get; internal init; } = [];

    /// <summary>What is missing in the program, as far as the state tells; null where nothing was lost.</summary>
    public string? MissingFlush { get; internal init; }

    /// <summary>
    /// The faults that the disk injected into the recorded run and that these writes may have suffered from: those of the same bytes, and those of
    /// flushes. Numbers of <see cref="BlockTrace.Faults"/>.
    /// </summary>
    public IReadOnlyList<InjectedFault> Faults { get; internal init; } = [];

    internal void AppendTo(StringBuilder text)
    {
        foreach (TracedBio bio in Lost)
        {
            text.AppendLine().Append("  lost:   ").Append(bio);
        }

        foreach (TracedBio bio in Landed)
        {
            text.AppendLine().Append("  landed: ").Append(bio);
        }

        if (MissingFlush is not null)
        {
            text.AppendLine().Append("  ").Append(MissingFlush);
        }

        foreach (InjectedFault fault in Faults)
        {
            text.AppendLine().Append("  recorded with ").Append(fault);
        }
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder(FormattableString.Invariant($"{Lost.Count} writes lost, {Landed.Count} landed"));
        AppendTo(text);
        return text.ToString();
    }
}
