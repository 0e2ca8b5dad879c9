using Abuse.Benchmarks;
using BenchmarkDotNet.Running;

if (args is ["pairs", .. var only])
{
    await Pairs.RunAsync(only.FirstOrDefault());
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
