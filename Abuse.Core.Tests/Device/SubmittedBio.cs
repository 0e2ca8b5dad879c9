using System.Diagnostics.CodeAnalysis;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// A bio that was submitted. A raw answer completes it before the call that gave it returns, so most tests look without waiting.
/// </summary>
[SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "The result is taken once, and kept.")]
internal sealed class SubmittedBio(ValueTask<BioResult> task, byte[] memory)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private BioResult? _result;

    /// <summary>The submitter's memory.</summary>
    internal byte[] Memory => memory;

    internal bool IsPending => _result is null && !task.IsCompleted;

    /// <summary>The outcome, which must be there.</summary>
    internal BioResult Result
    {
        get
        {
            Assert.That(IsPending, Is.False, "The bio is still pending.");
            return _result ??= task.GetAwaiter().GetResult();
        }
    }

    /// <summary>The outcome of a bio that another thread completes.</summary>
    internal BioResult Wait()
    {
        Assert.That(SpinWait.SpinUntil(() => !IsPending, Patience), Is.True, "The bio did not complete.");
        return Result;
    }
}
