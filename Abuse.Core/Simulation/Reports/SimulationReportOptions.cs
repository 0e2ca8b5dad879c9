namespace Abuse.Core;

/// <summary>What a <see cref="SimulationReport"/> says beside what it is given. Immutable.</summary>
public sealed record SimulationReportOptions
{
    /// <summary>The heading; "Recorded run" if not given.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public string Title
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = "Recorded run";

    /// <summary>
    /// Whether the disk had a volatile cache, as in <see cref="CrashExplorerOptions.HasVolatileCache"/>. If not, every answered write is durable, and
    /// nothing is at risk.
    /// </summary>
    public bool HasVolatileCache { get; init; } = true;

    /// <summary>Lines for the top of the report: the seed, the command that runs it again.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public IReadOnlyList<string> Notes
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = [];

    /// <inheritdoc/>
    public override string ToString() =>
        $"\"{Title}\", {Notes.Count} notes, {(HasVolatileCache ? "with" : "without")} a volatile cache";
}
