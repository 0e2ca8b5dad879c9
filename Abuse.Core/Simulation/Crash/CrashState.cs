namespace Abuse.Core;

/// <summary>A state that a power loss may leave, given to a check.</summary>
/// <remarks>Valid until the check has ended: its image fails every bio after.</remarks>
public sealed class CrashState
{
    private readonly CrashCursor _cursor;
    private string? _id;

    internal CrashState(CrashCursor cursor, BlockTarget image)
    {
        _cursor = cursor;
        Image = image;
    }

    /// <summary>
    /// The disk as the power loss left it, to be served by an <see cref="AbuseDevice"/>, say. It takes writes, which the state forgets after
    /// the check.
    /// </summary>
    public BlockTarget Image { get; }

    /// <summary>
    /// How many events of the recorded workload had happened. What a mark of no more than this number precedes, the crash comes after. A crash
    /// of a recovery has that of the first crash.
    /// </summary>
    public long Point => _cursor.First.Point;

    /// <summary>The state's name, by which <see cref="CrashExplorer.ReplayAsync"/> finds it again.</summary>
    public string Id => _id ??= CrashId.Of(_cursor);

    /// <inheritdoc/>
    public override string ToString() => Id;
}
