namespace Abuse.Core.Guest;

/// <summary>One thing that must hold on a real kernel.</summary>
/// <param name="Name">Lower-case words and hyphens; what the tests outside know it by.</param>
/// <param name="Smoke">Whether it is among those that run for every change.</param>
/// <param name="Run">Does it, and throws where it does not hold.</param>
/// <param name="Seconds">How long it may take, on a guest in software emulation.</param>
internal sealed record Case(string Name, bool Smoke, Func<Scene, Task> Run, int Seconds = 90);

/// <summary>What had to hold did not.</summary>
internal sealed class CaseFailedException(string message) : Exception(message);

/// <summary>The case can't be tried on this kernel.</summary>
internal sealed class CaseSkippedException(string reason) : Exception(reason);

/// <summary>What cases demand.</summary>
internal static class Check
{
    internal static void That(bool condition, string what)
    {
        if (!condition)
        {
            throw new CaseFailedException(what);
        }
    }

    internal static void Equal<T>(T actual, T expected, string what) =>
        That(EqualityComparer<T>.Default.Equals(actual, expected), $"{what}: {actual}, not {expected}");

    internal static void Contains(string text, string part, string what) =>
        That(text.Contains(part, StringComparison.Ordinal), $"{what} does not name \"{part}\": {text}");

    /// <summary>The call fails with this reason.</summary>
    internal static async Task<UblkException> RefusedAsync(Func<Task> call, string what, params UblkFailure[] reasons)
    {
        try
        {
            await call();
        }
        catch (UblkException failure)
        {
            That(reasons.Contains(failure.Failure), $"{what}: {failure.Failure} ({failure.Message}), not {string.Join(" or ", reasons)}");
            That(failure.Message.Length > 20, $"{what}: the message says nothing: {failure.Message}");
            return failure;
        }

        throw new CaseFailedException($"{what} was not refused");
    }
}
