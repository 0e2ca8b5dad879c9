namespace Abuse.Core;

/// <summary>A write as a unit sees it.</summary>
/// <param name="Bio">Its number in the trace.</param>
/// <param name="Start">The first byte of the unit that it changes.</param>
/// <param name="End">The first that it does not.</param>
/// <param name="Submitted">The event of its submission.</param>
/// <param name="Completed">The event of its answer; never if it had none.</param>
/// <param name="DurableAt">The event from which on it is durable.</param>
/// <param name="OptionalFrom">
/// The point from which on later writes need not have it beneath them, because it failed, was never answered, or was dropped; never if they do.
/// </param>
internal readonly record struct UnitWriter(int Bio, int Start, int End, long Submitted, long Completed, long DurableAt, long OptionalFrom)
{
    internal bool IsOptional => OptionalFrom != CrashDurability.Never;
}
