using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Waits that end: a test that would hang fails instead.</summary>
internal static class Soon
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private const int LeastLooks = 1000;

    internal static Task InTime(this Task task) => task.WaitAsync(Limit);

    internal static Task<T> InTime<T>(this Task<T> task) => task.WaitAsync(Limit);

    internal static Task<T> InTime<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Limit);

    internal static Task InTime(this ValueTask task) => task.AsTask().WaitAsync(Limit);

    /// <summary>Waits for something that another thread brings about and nobody announces.</summary>
    internal static Task Until(Func<bool> condition, string what) => Until(condition, () => what);

    /// <summary>As the other; says how things stand when it has waited in vain.</summary>
    internal static async Task Until(Func<bool> condition, Func<string> what)
    {
        using var limit = new CancellationTokenSource(Limit);
        for (int looks = 0; !condition(); looks++)
        {
            // A machine that stood still, as shared ones do, has passed the time without anybody's having had it.
            if (limit.IsCancellationRequested && looks > LeastLooks)
            {
                Assert.Fail($"Waited in vain: {what()}.");
            }

            await Task.Delay(1);
        }
    }

    /// <summary>Runs a call that may block on a thread of its own, so that the pool is not kept by it.</summary>
    internal static Task<T> OnThread<T>(Func<T> call) =>
        Task.Factory.StartNew(call, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
