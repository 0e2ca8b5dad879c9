using System.Globalization;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The seed of a randomised test: printed, and taken from ABUSE_SEED to run it again.</summary>
internal static class ContractSeed
{
    internal static int Next()
    {
        string? given = Environment.GetEnvironmentVariable("ABUSE_SEED");
        int seed = given is null ? Random.Shared.Next() : int.Parse(given, CultureInfo.InvariantCulture);
        TestContext.Out.WriteLine($"Seed {seed}; to repeat: ABUSE_SEED={seed} dotnet test --filter FullyQualifiedName={TestContext.CurrentContext.Test.FullName}");
        return seed;
    }
}
